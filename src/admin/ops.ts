import express, { type Request, type RequestHandler, type Response, type Router } from "express";
import { isOperator, type Principal } from "../http/principal.ts";
import { AppError } from "../platform/errors.ts";

const COOKIE = "tollkeeper_ops";

export interface OpsDeps {
  /** Signs a person in by password; throws an AppError when refused. */
  signIn(identifier: string, password: string, ip: string): Promise<{ accessToken: string; expiresIn: number }>;
  authenticateToken(token: string): Promise<Principal>;
  /** True when the api is reached over https: the cookie is then sent over https alone. */
  secure: boolean;
  /** Pages behind the sign-in, by the path under /ops. */
  pages: { path: string; title: string; router: Router }[];
  /** Links shown beside the pages. */
  links: { url: string; title: string }[];
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:4rem auto;padding:0 1rem}
label{display:block;margin:1rem 0 .25rem}input{width:100%;padding:.5rem;box-sizing:border-box}button{margin-top:1.5rem;padding:.5rem 1.5rem}
.problem{color:#b00020}</style></head><body>${body}</body></html>`;
}

function loginPage(problem?: string): string {
  return page(
    "Operators · Tollkeeper",
    `<h1>Operators</h1>${problem ? `<p class="problem" role="alert">${escapeHtml(problem)}</p>` : ""}
<form method="post" action="/ops/login"><label for="identifier">E-mail or user name</label>
<input id="identifier" name="identifier" autocomplete="username" required autofocus>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Sign in</button></form>`,
  );
}

function cookieOf(req: Request): string | undefined {
  for (const pair of (req.headers.cookie ?? "").split(";")) {
    const [name, value] = pair.trim().split("=");
    if (name === COOKIE && value) return value;
  }
  return undefined;
}

/** Lets operators through, by cookie or access token; a browser that is not signed in is sent to the sign-in page. */
function operatorsOnly(deps: OpsDeps): RequestHandler {
  return async (req, res, next) => {
    const token = cookieOf(req) ?? /^Bearer (\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
    const principal = token
      ? await deps.authenticateToken(token).catch((error: unknown) => {
          if (error instanceof AppError && error.status < 500) return undefined;
          throw error;
        })
      : undefined;
    if (principal && isOperator(principal)) next();
    else if (principal) throw new AppError("forbidden");
    else if (req.method === "GET" && req.headers.accept?.includes("text/html")) res.redirect(303, "/ops/login");
    else throw new AppError("unauthenticated", { message: "Sign in as an operator" });
  };
}

/**
 * Pages for operators, behind a sign-in of their own. The cookie holds an access token, is not readable by scripts and is never sent
 * from another site, so that no other page can act here.
 */
export function opsRouter(deps: OpsDeps): Router {
  const router = express.Router();
  const cookie = { httpOnly: true, sameSite: "strict", secure: deps.secure, path: "/ops" } as const;
  router.get("/login", (_req, res) => {
    res.type("html").send(loginPage());
  });
  router.post("/login", express.urlencoded({ extended: false, limit: "8kb" }), async (req: Request, res: Response) => {
    const { identifier, password } = (req.body ?? {}) as { identifier?: unknown; password?: unknown };
    try {
      if (typeof identifier !== "string" || typeof password !== "string") throw new AppError("invalid_credentials");
      const { accessToken, expiresIn } = await deps.signIn(identifier, password, req.ip ?? "");
      if (!isOperator(await deps.authenticateToken(accessToken))) throw new AppError("forbidden");
      res.cookie(COOKIE, accessToken, { ...cookie, maxAge: expiresIn * 1_000 }).redirect(303, "/ops");
    } catch (error) {
      if (!(error instanceof AppError) || error.status >= 500) throw error;
      res.status(error.status).type("html").send(loginPage(error.message));
    }
  });
  router.post("/logout", (_req, res) => {
    res.clearCookie(COOKIE, cookie).redirect(303, "/ops/login");
  });
  router.use(operatorsOnly(deps));
  router.get("/", (_req, res) => {
    const links = [...deps.pages.map(({ path, title }) => ({ url: `/ops${path}`, title })), ...deps.links];
    const list = links.map(({ url, title }) => `<li><a href="${escapeHtml(url)}">${escapeHtml(title)}</a></li>`).join("");
    res
      .type("html")
      .send(
        page(
          "Operators · Tollkeeper",
          `<h1>Operators</h1><ul>${list}</ul><form method="post" action="/ops/logout"><button>Sign out</button></form>`,
        ),
      );
  });
  for (const { path, router: inner } of deps.pages) router.use(path, inner);
  return router;
}
