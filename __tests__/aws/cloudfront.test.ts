import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { Caller } from '../../src/aws/caller.ts';
import { CloudFront } from '../../src/aws/cloudfront.ts';
import { ServiceError } from '../../src/aws/failure.ts';

const KEYS = async () => ({ accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'example-secret' });
const caller = () => new Caller({ now: () => performance.now(), sleep: async () => undefined, random: () => 0 });
const BATCH = { reference: 'r<&>', paths: ['/a&b', '/*'] };

/** A server that answers everything alike, and what it was asked last. */
async function answering(status: number, body: string, work: (url: string, asked: Asked) => Promise<void>) {
  const asked: Asked = { url: '', headers: {}, body: '' };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    Object.assign(asked, { url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(status, { 'x-amzn-requestid': 'R1' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

interface Asked {
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

const answer = (id: string, status: string) => `<Invalidation><Id>${id}</Id><Status>${status}</Status></Invalidation>`;

describe('CloudFront', () => {
  test.each([
    ['aws', 'us-east-1'],
    ['aws-cn', 'cn-northwest-1'],
    // Whoever names another CloudFront knows of one.
    ['aws-us-gov', 'us-east-1'],
  ])('in the partition %s is signed for %s', async (partition, region) => {
    await answering(201, answer('I1', 'InProgress'), async (endpoint, asked) => {
      const cloudfront = new CloudFront('E1', { partition, endpoint: `${endpoint}/base/` }, KEYS, caller());
      expect(await cloudfront.invalidate(BATCH)).toEqual({
        id: 'I1',
        isComplete: false,
        $metadata: { httpStatusCode: 201, requestId: 'R1' },
      });
      expect(asked.headers.authorization).toMatch(new RegExp(`/\\d{8}/${region}/cloudfront/aws4_request`));
      expect(asked.url).toBe('/base/2020-05-31/distribution/E1/invalidation');
      expect(asked.body).toContain('<Quantity>2</Quantity><Items><Path>/a&amp;b</Path><Path>/*</Path></Items>');
      expect(asked.body).toContain('<CallerReference>r&lt;&amp;&gt;</CallerReference>');
    });
  });

  test.each(['aws-us-gov', 'aws-iso', 'aws-eusc'])('is no part of the partition %s', (partition) => {
    const open = () => new CloudFront('E1', { partition, endpoint: undefined }, KEYS, caller());
    expect(open).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });

  test('says when an invalidation is complete', async () => {
    await answering(200, answer('I1', 'Completed'), async (endpoint, asked) => {
      const cloudfront = new CloudFront('E1', { partition: 'aws', endpoint }, KEYS, caller());
      expect((await cloudfront.look('I1')).isComplete).toBe(true);
      expect(asked.url).toBe('/2020-05-31/distribution/E1/invalidation/I1');
    });
  });

  test.each([
    ['a web page', '<html><title>Sign in</title></html>'],
    ['an id that could be something else', answer('::set-output::', 'InProgress')],
    ['an id by itself', '<Id>I1</Id>'],
    ['nothing', ''],
  ])('takes %s for no answer of CloudFront', async (_, body) => {
    await answering(200, body, async (endpoint) => {
      const cloudfront = new CloudFront('E1', { partition: 'aws', endpoint }, KEYS, caller());
      const error = await cloudfront.invalidate(BATCH).catch((thrown: unknown) => thrown);
      expect((error as ServiceError).failure).toMatchObject({
        code: 'StoreMisbehaved',
        operation: 'CreateInvalidation',
      });
    });
  });

  test('tells of a refusal what may be shown', async () => {
    const body =
      '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: a is &quot;no&quot; &amp;amp;\u001b[2J</Message></Error></ErrorResponse>';
    await answering(403, body, async (endpoint) => {
      const cloudfront = new CloudFront('E1', { partition: 'aws', endpoint }, KEYS, caller());
      const error = await cloudfront.invalidate(BATCH).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ServiceError);
      expect((error as ServiceError).failure).toMatchObject({
        code: 'AccessDenied',
        status: 403,
        requestId: 'R1',
        message: 'User: a is "no" &amp;\\x1b[2J',
      });
    });
  });
});
