import { startCloud } from './support/cloud/cloud.ts';
import { describeProbes } from './support/probes.ts';

describeProbes('a store at an endpoint of the loopback cloud', startCloud);
