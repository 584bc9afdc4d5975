import { startCeph } from '../support/ceph.ts';
import { describeDeploys } from '../support/deploys.ts';

describeDeploys('Ceph RADOS Gateway', startCeph);
