import { needsRedis } from '../../../support/redis.js';

// In the whole form, on a busy machine, a row takes a minute or two. A row that waits longer waits for something that will not happen.
const timeout = 240_000;

/** The options of a row that needs Redis or Valkey. */
export const withRedis = { ...needsRedis, timeout };
/** The options of a row that needs neither. */
export const withoutRedis = { timeout };
