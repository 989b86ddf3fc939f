#!/usr/bin/env node
import { parapetSign } from "../dist/node/cli.js";

process.exitCode = await parapetSign(process.argv.slice(2));
