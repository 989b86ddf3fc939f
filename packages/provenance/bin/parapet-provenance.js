#!/usr/bin/env node
import { parapetProvenance } from "../dist/node/cli.js";

process.exitCode = await parapetProvenance(process.argv.slice(2));
