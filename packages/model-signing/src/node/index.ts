export { folderSource } from "./folder-source.ts";
export { type SignFolderOptions, signFolder, verifyFolder } from "./folders.ts";
