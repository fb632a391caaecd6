/** What rendering needs of the files' domain. */

export interface StoredFile {
  id: string;
  name: string;
  size: number;
  kind: string;
}

export interface RenderFiles {
  /** A file that is there, of that owner only. */
  read(ownerId: string, fileId: string): Promise<StoredFile | undefined>;
  /** Brings a file to this machine, checked. */
  fetch(file: StoredFile, toPath: string, signal: AbortSignal): Promise<void>;
  /** Keeps a file once per key: the same key is the same file. */
  store(file: {
    ownerId: string;
    kind: "frame" | "video" | "log";
    name: string;
    contentType: string;
    fromPath: string;
    taskId: string;
    key: string;
  }): Promise<{ id: string }>;
  /** Removes one file; rejects when there is none. */
  remove(ownerId: string, fileId: string): Promise<void>;
  /** Removes everything that was stored for a task. */
  removeOfTask(taskId: string): Promise<unknown>;
}
