export { createVideoMaker, FilmFailed, type VideoMaker } from "./maker.ts";
export { pictureName } from "./command.ts";
export { CODECS, splitSettings } from "./settings.ts";
