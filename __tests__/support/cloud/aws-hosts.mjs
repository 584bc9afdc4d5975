/**
 * Preloaded into a child process (`NODE_OPTIONS=--import=…`): connections to `*.amazonaws.com` go to AWS_HOSTS_PORT on
 * this machine, those to this machine pass, and any other fails, so that no test reaches the network. Plain
 * JavaScript, as it must load wherever the action runs.
 */
import net from 'node:net';

const port = Number(process.env.AWS_HOSTS_PORT);
const connect = net.Socket.prototype.connect;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?|0\.0\.0\.0)$/;

net.Socket.prototype.connect = function (...args) {
  // Inside Node the arguments come normalised, as one array; from the outside in any form that connect takes.
  const [options, listener] = Array.isArray(args[0]) ? args[0] : net._normalizeArgs(args);
  const host = options.host ?? 'localhost';
  if (options.path || LOOPBACK.test(host)) return connect.call(this, options, listener);
  if (port && /(^|\.)amazonaws\.com$/.test(host)) {
    // TLS still asks for, and checks, the name in `servername`.
    return connect.call(this, { ...options, host: '127.0.0.1', port, lookup: undefined }, listener);
  }
  const error = Object.assign(new Error(`A test must not leave this machine: ${host}`), { code: 'ENOTFOUND' });
  process.nextTick(() => this.destroy(error));
  return this;
};
