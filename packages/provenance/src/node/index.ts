export { datasetOfFolder, type FolderOptions, filePieces, recordOfFile } from "./dataset-files.ts";
export { eraseSavedRecord, openDataset, saveDataset } from "./datasets.ts";
export { nodeHash256 } from "./hash.ts";
export { fileJournal } from "./journal-file.ts";
export { folderStorage } from "./log-folder.ts";
export { codeVersion, type EnvironmentOptions, environment, environmentSecrets } from "./surroundings.ts";
