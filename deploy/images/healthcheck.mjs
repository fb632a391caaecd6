/** Ends with 0 when this container's program answers 200 at HEALTH_PATH on PORT, else with 1. */
const url = `http://127.0.0.1:${process.env["PORT"] || 3000}${process.env["HEALTH_PATH"] || "/readyz"}`;
const response = await fetch(url, { signal: AbortSignal.timeout(4_000) }).catch((error) => ({ ok: false, status: error.message }));
if (!response.ok) process.stderr.write(`${url}: ${response.status}\n`);
process.exit(response.ok ? 0 : 1);
