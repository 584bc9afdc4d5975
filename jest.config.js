/** Tests are TypeScript that Node runs by taking the types out, so what a test sees is the source line for line. */
export default {
  // Whole runs of the built action, several in a test: on a machine that is busy each may take seconds.
  testTimeout: 60_000,
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': './scripts/strip-types.js' },
  testMatch: ['**/__tests__/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/__tests__/ceph/'],
  modulePathIgnorePatterns: ['<rootDir>/build/', '<rootDir>/dist/'],
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/core/**/*.ts', 'src/errors.ts'],
};
