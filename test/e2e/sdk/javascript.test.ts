import { javascript } from "./js/driver.ts";
import { describeLanguage } from "./language.ts";

describeLanguage("JavaScript", javascript);
