import { startCloud } from './support/cloud/cloud.ts';
import { describeSyncs } from './support/syncs.ts';

describeSyncs('the loopback cloud', startCloud);
