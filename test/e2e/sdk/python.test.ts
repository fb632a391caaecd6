import { describeLanguage } from "./language.ts";
import { python } from "./python.ts";

describeLanguage("Python", python);
