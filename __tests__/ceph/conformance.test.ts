import { startCeph } from '../support/ceph.ts';
import { describeConformance } from '../support/conformance.ts';

describeConformance('ceph', startCeph);
