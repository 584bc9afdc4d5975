import { expect, test } from '@jest/globals';
import { type SiteAddress, siteUrlOf } from '../../src/core/site-url.ts';

const urlOf = (more: Partial<SiteAddress>) =>
  siteUrlOf({
    destination: { bucket: 'my-site', prefix: '' },
    region: 'eu-central-1',
    endpoint: undefined,
    siteUrl: undefined,
    ...more,
  });

test.each([
  ['us-east-1', 'http://my-site.s3-website-us-east-1.amazonaws.com/'],
  ['us-west-1', 'http://my-site.s3-website-us-west-1.amazonaws.com/'],
  ['us-west-2', 'http://my-site.s3-website-us-west-2.amazonaws.com/'],
  ['us-east-2', 'http://my-site.s3-website.us-east-2.amazonaws.com/'],
  ['eu-west-1', 'http://my-site.s3-website-eu-west-1.amazonaws.com/'],
  ['eu-west-2', 'http://my-site.s3-website.eu-west-2.amazonaws.com/'],
  ['eu-central-1', 'http://my-site.s3-website.eu-central-1.amazonaws.com/'],
  ['ap-northeast-1', 'http://my-site.s3-website-ap-northeast-1.amazonaws.com/'],
  ['ap-northeast-2', 'http://my-site.s3-website.ap-northeast-2.amazonaws.com/'],
  ['ap-southeast-2', 'http://my-site.s3-website-ap-southeast-2.amazonaws.com/'],
  ['ap-southeast-3', 'http://my-site.s3-website.ap-southeast-3.amazonaws.com/'],
  ['sa-east-1', 'http://my-site.s3-website-sa-east-1.amazonaws.com/'],
  ['us-gov-west-1', 'http://my-site.s3-website-us-gov-west-1.amazonaws.com/'],
  ['us-gov-east-1', 'http://my-site.s3-website.us-gov-east-1.amazonaws.com/'],
  ['cn-northwest-1', 'http://my-site.s3-website.cn-northwest-1.amazonaws.com.cn/'],
])('the website endpoint of a bucket in %s', (region, url) => {
  expect(urlOf({ region })).toBe(url);
});

test.each([
  ['docs/v1/', 'docs/v1/'],
  ['a b/', 'a%20b/'],
  ['données/日本/', 'donn%C3%A9es/%E6%97%A5%E6%9C%AC/'],
  ['50%/', '50%25/'],
  ['%2e%2e/', '%252e%252e/'],
  ['a#b?c&d=e/', 'a%23b%3Fc%26d%3De/'],
  ['a\\b/', 'a%5Cb/'],
  ['"><script>/', '%22%3E%3Cscript%3E/'],
] as const)('the prefix %s is encoded, and decodes to itself', (prefix, path) => {
  const url = urlOf({ destination: { bucket: 'my-site', prefix } });
  expect(url).toBe(`http://my-site.s3-website.eu-central-1.amazonaws.com/${path}`);
  expect(new URL(url)).toMatchObject({ search: '', hash: '' });
  expect(decodeURIComponent(new URL(url).pathname)).toBe(`/${prefix}`);
});

test('below the endpoint of another store is the bucket', () => {
  const destination = { bucket: 'my-site', prefix: 'docs/' } as const;
  expect(urlOf({ destination, endpoint: 'https://s3.example.org' })).toBe('https://s3.example.org/my-site/docs/');
});

test('site-url wins over both', () => {
  const destination = { bucket: 'my-site', prefix: 'a b/' } as const;
  const more = { destination, endpoint: 'https://s3.example.org', siteUrl: 'https://www.example.org/pr' };
  expect(urlOf(more)).toBe('https://www.example.org/pr/a%20b/');
  expect(urlOf({ siteUrl: 'https://www.example.org' })).toBe('https://www.example.org/');
});
