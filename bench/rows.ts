import { crowded, slowDown } from './concurrency.ts';
import { deployRow } from './deploys.ts';
import { atMost, faster, fewRequests, type Goal, noHead, within } from './goals.ts';
import { puts } from './puts.ts';
import type { Row } from './row.ts';
import { changedOf, SITES, type SiteName } from './sites.ts';
import { start } from './start.ts';

const PAGE = 1_000;
/** Requests of a deploy besides uploads and pages; of one that changes nothing. */
const BESIDES = 10;
const BESIDES_UNCHANGED = 8;
const EVERYONE = [
  'rclone',
  'aws s3 sync',
  'aws s3 sync (64)',
  's3cmd',
  's3-sync-client',
  'gatsby-plugin-s3',
  'SDK loop',
];

const allNew = (site: SiteName): Goal => fewRequests(SITES[site].files, 1, BESIDES);
const pagesOf = (site: SiteName) => Math.ceil((SITES[site].files + 1) / PAGE);
const unchanged = (site: SiteName): Goal => fewRequests(0, pagesOf(site), BESIDES_UNCHANGED);

/** The work that is measured, with its goals, in the order of the table. */
export const ROWS: readonly Row[] = [
  puts,
  deployRow({
    name: 'new-20000',
    title: 'first deploy, 20,000 files, TLS',
    site: 'large',
    tls: true,
    wholeStep: true,
    peers: ['rclone', 'SDK loop'],
    rounds: 3,
    goals: [atMost(0.65, 'wall', 'rclone'), atMost(0.65, 'cpu', 'rclone'), within(150, 'memory'), allNew('large')],
  }),
  deployRow({
    name: 'new-2000',
    title: 'first deploy, 2,000 × 10 KB, TLS',
    site: 'small',
    tls: true,
    wholeStep: true,
    peers: EVERYONE,
    rounds: 3,
    quick: 1,
    quickPeers: ['rclone', 'aws s3 sync'],
    goals: [atMost(1, 'wall', 'rclone'), atMost(1.2, 'cpu', 'rclone'), faster(7, 'aws s3 sync'), allNew('small')],
  }),
  deployRow({
    name: 'new-2000-http',
    title: 'the same without TLS, with keys',
    site: 'small',
    peers: ['aws s3 sync', 'rclone'],
    rounds: 3,
    goals: [faster(7, 'aws s3 sync'), allNew('small')],
  }),
  deployRow({
    name: 'new-2000-free',
    title: 'the same with both cores free',
    site: 'small',
    tls: true,
    wholeStep: true,
    bothCores: true,
    peers: ['rclone'],
    rounds: 5,
    quick: 3,
    goals: [atMost(0.75, 'wall', 'rclone')],
  }),
  deployRow({
    name: 'same-5000',
    title: 'no change, 5,000 files, fresh mtimes',
    site: 'medium',
    before: 'same',
    peers: ['rclone', 'gatsby-plugin-s3', 's3cmd'],
    rounds: 3,
    quick: 1,
    quickPeers: ['rclone'],
    goals: [],
  }),
  deployRow({
    name: 'same-20000',
    title: 'no change, 20,000 files, fresh mtimes',
    site: 'large',
    before: 'same',
    peers: ['rclone', 'gatsby-plugin-s3', 's3cmd'],
    rounds: 3,
    goals: [
      atMost(0.25, 'wall', 'rclone'),
      atMost(0.35, 'cpu', 'rclone'),
      within(110, 'memory'),
      unchanged('large'),
      noHead,
    ],
  }),
  deployRow({
    name: 'same-20000-aws',
    title: 'the same against aws s3 sync, which uploads all again',
    site: 'large',
    before: 'same',
    peers: ['aws s3 sync'],
    rounds: 1,
    goals: [faster(30, 'aws s3 sync')],
  }),
  deployRow({
    name: 'changed-20000',
    title: '1 % changed of 20,000',
    site: 'large',
    before: 'changed',
    peers: ['rclone'],
    rounds: 3,
    goals: [atMost(0.3, 'wall', 'rclone'), fewRequests(changedOf(SITES.large), pagesOf('large'), BESIDES)],
  }),
  deployRow({
    name: 'same-200000',
    title: 'no change, 200,000 objects',
    site: 'huge',
    before: 'same',
    peers: ['rclone'],
    rounds: 1,
    goals: [
      atMost(0.1, 'wall', 'rclone'),
      atMost(0.15, 'cpu', 'rclone'),
      within(200, 'memory'),
      unchanged('huge'),
      noHead,
    ],
  }),
  deployRow({
    name: 'media',
    title: '2 GB in ten files, TLS',
    site: 'media',
    tls: true,
    wholeStep: true,
    peers: ['aws s3 sync', 'rclone'],
    rounds: 3,
    goals: [atMost(1, 'wall', 'aws s3 sync'), atMost(0.5, 'cpu', 'aws s3 sync'), within(130, 'memory')],
  }),
  deployRow({
    name: 'same-60',
    title: '60 unchanged files, TLS, the whole step with OIDC, STS and probe',
    site: 'tiny',
    tls: true,
    before: 'same',
    wholeStep: true,
    peers: ['rclone', 'aws s3 sync'],
    rounds: 9,
    quick: 3,
    quickPeers: ['rclone'],
    goals: [within(0.45, 'wall'), unchanged('tiny'), noHead],
  }),
  start,
  slowDown,
  crowded,
];
