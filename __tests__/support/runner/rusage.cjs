// Preloaded into a measured run: writes what the process used to descriptor 3 when it exits.
const { existsSync, readFileSync, writeSync } = require('node:fs');

process.on('exit', () => {
  const usage = process.resourceUsage();
  // Linux counts into maxRSS what the process was forked from; VmHWM is of this program alone.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const peak = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? usage.maxRSS);
  writeSync(3, JSON.stringify({ ...usage, maxRSS: peak }));
});
