export { folderStorage } from "./log-folder.ts";
