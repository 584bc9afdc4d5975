import { startCeph } from '../support/ceph.ts';
import { describeShards } from '../support/shards.ts';

describeShards('Ceph RADOS Gateway', startCeph);
