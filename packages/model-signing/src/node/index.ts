export { folderSource } from "./folder-source.ts";
export { type SignFolderOptions, signFolder, verifyFolder } from "./folders.ts";
export { type OpenModel, openVerified } from "./open-verified.ts";
