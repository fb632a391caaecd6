export { createAttempt } from "./attempt.ts";
export { watchNotices } from "./metrics.ts";
export { noticeRoutes } from "./routes.ts";
export { createNoticeSettings } from "./settings.ts";
export { createTell, type Tell, type Told } from "./tell.ts";
