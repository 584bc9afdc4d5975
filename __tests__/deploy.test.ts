import { startCloud } from './support/cloud/cloud.ts';
import { describeDeploys } from './support/deploys.ts';

describeDeploys('the loopback cloud', startCloud);
