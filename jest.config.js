/** Tests are TypeScript that Node runs by taking the types out, so what a test sees is the source line for line. */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': './scripts/strip-types.js' },
  testMatch: ['**/__tests__/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/__tests__/ceph/'],
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/dist/'],
  globalSetup: './__tests__/support/jest/setup.ts',
  globalTeardown: './__tests__/support/jest/teardown.ts',
  // A machine may be shared: what takes seconds there is no hang.
  testTimeout: 120_000,
  // Most tests wait, for child processes and for time to pass: no processor need be left free.
  maxWorkers: '100%',
  // A new process for each file: what one leaves mapped is counted against the next one's child processes (ENOMEM).
  workerIdleMemoryLimit: '1MB',
  coverageProvider: 'v8',
  // The nouns in model.ts are types alone: nothing of them runs.
  collectCoverageFrom: ['src/core/**/*.ts', '!src/core/model.ts', 'src/errors.ts'],
  coverageReporters: ['text', 'json-summary'],
};
