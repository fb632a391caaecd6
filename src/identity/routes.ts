import type { Emit } from "../activity/index.ts";
import type { Route } from "../http/route.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Changes } from "./changes.ts";
import { keyRoutes } from "./keyRoutes.ts";
import type { ApiKeys } from "./keys.ts";
import type { Login } from "./login.ts";
import type { EndUserTokens } from "./endUserTokens.ts";
import type { IdentityModels } from "./models.ts";
import type { Strategies } from "./passport.ts";
import { profileRoutes } from "./profileRoutes.ts";
import { registrationRoutes } from "./registrationRoutes.ts";
import { sessionRoutes } from "./sessionRoutes.ts";
import type { Sessions } from "./sessions.ts";
import type { SignUp } from "./signUp.ts";
import { tokenRoutes } from "./tokenRoutes.ts";

/** What the routes of this domain call. */
export interface IdentityRouteDeps {
  pool: Pool;
  models: IdentityModels;
  signUp: SignUp;
  login: Login;
  sessions: Sessions;
  strategies: Strategies;
  apiKeys: ApiKeys;
  endUserTokens: EndUserTokens;
  ownsKey: (userId: string, keyId: string) => Promise<boolean>;
  changes: Changes;
  emit: Emit;
}

/** Registration, sign-in, one's own account and keys. */
export function identityRoutes(deps: IdentityRouteDeps): Route[] {
  return [
    ...registrationRoutes(deps),
    ...sessionRoutes(deps),
    ...profileRoutes(deps),
    ...keyRoutes(deps.apiKeys, deps.emit),
    ...tokenRoutes({ tokens: deps.endUserTokens, ownsKey: deps.ownsKey }),
  ];
}
