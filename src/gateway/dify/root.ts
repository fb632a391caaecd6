/** Where Dify's clients find us: their base URL. */
export const DIFY_ROOT = "/dify/v1";
