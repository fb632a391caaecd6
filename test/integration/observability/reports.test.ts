import { expect } from "chai";
import { createLogger, type Logger } from "../../../src/platform/logger.ts";
import { createErrorReporter, type ErrorReporter } from "../../../src/platform/reports/index.ts";
import { startTracker, type Tracker } from "../../support/reports.ts";

describe("error reports", () => {
  let tracker: Tracker;
  let reporter: ErrorReporter;
  let log: Logger;

  beforeEach(async () => {
    tracker = await startTracker();
    reporter = (await createErrorReporter({ dsn: tracker.dsn, service: "api", release: "1.2.3", environment: "test" }))!;
    log = createLogger({
      level: "info",
      name: "api",
      context: () => ({ trace_id: "trace-1" }),
      onProblem: reporter.report,
      to: { write: () => undefined },
    });
  });
  afterEach(() => tracker.close());

  it("an error that is logged is reported with its stack, its request and the release", async () => {
    log.error({ err: new TypeError("it broke"), method: "GET", path: "/api/x", status: 500 }, "Something went wrong on our side");
    await reporter.flush(5_000);
    expect(tracker.reports).to.have.length(1);
    const [report] = tracker.reports;
    expect([report!.level, report!.release, report!.environment]).to.deep.equal(["error", "1.2.3", "test"]);
    const [exception] = report!.exception!.values;
    expect([exception!.type, exception!.value]).to.deep.equal(["TypeError", "it broke"]);
    expect(exception!.stacktrace!.frames.some(({ filename }) => filename?.includes("reports.test"))).to.equal(true);
    expect(report!.tags).to.include({ service: "api", trace_id: "trace-1", method: "GET", path: "/api/x", status: "500" });
  });

  it("an alert without an error is reported by its words", async () => {
    log.error({ alert: true, kind: "topup_wrong_amount", order_no: "TK1" }, "payments: topup wrong amount");
    await reporter.flush(5_000);
    expect(tracker.reports[0]!.message).to.equal("payments: topup wrong amount");
    expect(tracker.reports[0]!.tags).to.include({ kind: "topup_wrong_amount", order_no: "TK1" });
  });

  it("warnings are not reported", async () => {
    log.warn({ err: new Error("never mind") }, "a warning");
    await reporter.flush(5_000);
    expect(tracker.reports).to.deep.equal([]);
  });

  it("nothing secret leaves, wherever it stands", async () => {
    const error = Object.assign(
      new Error("connect to postgres://tollkeeper:hunter2@db failed with Bearer sk-tk-abcdefgh, ask ada@example.com"),
      {
        password: "hunter2",
        config: { headers: { authorization: "Bearer sk-tk-abcdefgh" } },
      },
    );
    log.error({ err: error, password: "hunter2", events: ["hunter2"], api_key: "sk-tk-abcdefgh", path: "/x?token=hunter2" }, "failed");
    log.error({ err: { password: "hunter2" } }, "not even an error");
    await reporter.flush(5_000);
    expect(tracker.reports).to.have.length(2);
    expect(tracker.raw).not.to.match(/hunter2|abcdefgh|ada@/);
  });

  it("the same error again and again is reported three times", async () => {
    for (let n = 0; n < 50; n++) log.error({ err: new Error("the same") }, "again");
    await reporter.flush(5_000);
    expect(tracker.reports).to.have.length(3);
  });

  it("a tracker that is away harms nobody", async () => {
    await tracker.close();
    log.error({ err: new Error("unheard") }, "nobody listens");
    await reporter.flush(1_000);
    tracker = await startTracker();
  });
});
