import { createServer, type RequestListener, type Server } from "node:http";

/**
 * The api's HTTP server. A client may close its half of the connection after the request and still gets its answer: to TCP that looks
 * like a client that left, so whoever answers late has to find out, see the relay's presence.ts.
 */
export function createHttpServer(app: RequestListener): Server {
  const server = createServer({ connectionsCheckingInterval: 5_000 }, app);
  // Longer than load balancers keep idle connections, so that they and not we close them.
  server.keepAliveTimeout = 65_000;
  server.headersTimeout = 20_000;
  // Node has this switch since 0.x and keeps it out of its types: without it our half is closed together with the client's.
  Object.assign(server, { httpAllowHalfOpen: true });
  return server;
}
