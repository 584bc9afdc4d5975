import { startCloud } from './support/cloud/cloud.ts';
import { describeProbes } from './support/probes.ts';

describeProbes('AWS, as the loopback cloud plays it', () => startCloud({ hosts: 'aws' }), true);
