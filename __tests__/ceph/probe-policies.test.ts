import { startCeph } from '../support/ceph.ts';
import { describeProbes } from '../support/probes.ts';

describeProbes('Ceph RADOS Gateway', startCeph);
