import { startCloud } from './support/cloud/cloud.ts';
import { describeConformance } from './support/conformance.ts';

describeConformance('loopback', () => startCloud());
