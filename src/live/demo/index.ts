import express, { type Router } from "express";
import { PAGE, STYLE } from "./page.ts";
import { SCRIPT } from "./script.ts";

/** Pictures of frames come from the storage, wherever that is. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src * data:; form-action 'none'; base-uri 'none'";

/** A page that shows a render as it happens, for development: it uses nothing but the routes that everybody has. */
export function liveDemo(): Router {
  const router = express.Router();
  router.use((_req, res, next) => {
    res.setHeader("content-security-policy", POLICY);
    next();
  });
  router.get("/", (_req, res) => void res.type("html").send(PAGE));
  router.get("/script.js", (_req, res) => void res.type("text/javascript").send(SCRIPT));
  router.get("/style.css", (_req, res) => void res.type("css").send(STYLE));
  return router;
}
