/**
 * In place of undici below @actions/core, which would load it, 940 KB of JavaScript, for `getIDToken` alone: the job's token is
 * fetched by `src/github/oidc.ts`. It is a third of `dist`, 20 ms of processor time and 8 MB of memory of every run.
 */
class ProxyAgent {
  constructor() {
    throw new Error('undici is not part of this action: see scripts/no-undici');
  }
}

module.exports = { ProxyAgent };
