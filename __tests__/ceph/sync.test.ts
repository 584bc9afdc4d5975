import { startCeph } from '../support/ceph.ts';
import { describeSyncs } from '../support/syncs.ts';

describeSyncs('Ceph RADOS Gateway', startCeph);
