export { folderSource } from "./folder-source.ts";
export { type SignFolderOptions, signFolder, verifyFolder } from "./folders.ts";
export { type ModelFolderOptions, updateModelFolder } from "./model-folder.ts";
export { type OpenModel, openVerified } from "./open-verified.ts";
export { openRepository, publishRelease } from "./publish.ts";
export { folderStore } from "./update-store.ts";
