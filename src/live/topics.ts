const TASK = /^task:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Everything of one's own; shared by all who want just that. */
export const EVERYTHING: ReadonlySet<string> = new Set(["tasks", "balance", "topups", "notices"]);

/** Topics that one connection may name. */
export const MOST_TOPICS = 50;

export interface Topics {
  /** The first of these that is not there for this person, if any: other people's are not there. */
  refused(userId: string, topics: readonly string[]): Promise<string | undefined>;
}

/** Who may hear what. Events lie by person anyway, so that nobody ever hears another's; this says so. */
export function createTopics(deps: { ownsTask(userId: string, taskId: string): Promise<boolean> }): Topics {
  return {
    async refused(userId, topics) {
      for (const topic of topics) {
        if (EVERYTHING.has(topic)) continue;
        if (!TASK.test(topic) || !(await deps.ownsTask(userId, topic.slice("task:".length)))) return topic;
      }
      return undefined;
    },
  };
}

/** Whether events of `topic` are wanted. What is missing concerns everybody. */
export function wants(topics: ReadonlySet<string>, topic: string): boolean {
  if (topics.has(topic) || topic === "gap") return true;
  return topic.startsWith("task:") && topics.has("tasks");
}
