import { describeLanguage } from "./language.ts";
import { ASYNC_ASKS, pythonAsync } from "./python.ts";

describeLanguage("Python's asyncio", pythonAsync, ({ ask }) => ASYNC_ASKS.has(ask));
