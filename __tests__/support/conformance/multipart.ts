import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { expect } from '@jest/globals';
import { type Case, outcome, type Scene } from './scene.ts';

const MIB = 1024 ** 2;
const BIG = Buffer.alloc(5 * MIB, 'big');
const SMALL = Buffer.from('the end');
const sha256 = (body: Uint8Array) => createHash('sha256').update(body).digest();
const md5 = (body: Uint8Array) => createHash('md5').update(body).digest();
/** ETag of an object made of parts: the MD5 of their MD5s, a hyphen, their number. */
const tagOf = (...parts: Uint8Array[]) => `"${md5(Buffer.concat(parts.map(md5))).toString('hex')}-${parts.length}"`;

/** The SDK sends a CRC32 with every part, which AWS refuses for an upload that was not begun with one. */
const WITH_CRC32 = { ChecksumAlgorithm: 'CRC32' } as const;

interface Part {
  PartNumber: number;
  ETag: string;
  ChecksumCRC32?: string;
  ChecksumSHA256?: string;
}

/** One upload under way. */
class Upload {
  readonly at: { Bucket: string; Key: string; UploadId: string };
  readonly #s3: S3Client;

  private constructor(s3: S3Client, at: Upload['at']) {
    this.#s3 = s3;
    this.at = at;
  }

  static async begin({ s3, bucket: Bucket }: Pick<Scene, 's3' | 'bucket'>, Key = 'a', headers = {}): Promise<Upload> {
    const { UploadId = '' } = await s3.send(
      new CreateMultipartUploadCommand({ Bucket, Key, ...WITH_CRC32, ...headers }),
    );
    return new Upload(s3, { Bucket, Key, UploadId });
  }

  sendPart(PartNumber: number, Body: Uint8Array, more = {}) {
    return this.#s3.send(new UploadPartCommand({ ...this.at, PartNumber, Body, ...more }));
  }

  async part(PartNumber: number, Body: Uint8Array): Promise<Part> {
    const { ETag = '', ChecksumCRC32 } = await this.sendPart(PartNumber, Body);
    return { PartNumber, ETag, ...(ChecksumCRC32 && { ChecksumCRC32 }) };
  }

  complete(Parts: Part[], more = {}) {
    return this.#s3.send(new CompleteMultipartUploadCommand({ ...this.at, MultipartUpload: { Parts }, ...more }));
  }

  abort() {
    return this.#s3.send(new AbortMultipartUploadCommand(this.at));
  }
}

/** Multipart uploads: what comes of them, and every way in which they go wrong. */
export const multipartCases: Case[] = [
  {
    name: 'parts become one object with the headers of the beginning and a multipart ETag',
    async run(scene) {
      const headers = { ContentType: 'video/mp4', CacheControl: 'max-age=5', Metadata: { a: 'b' } };
      const upload = await Upload.begin(scene, 'dir/ü +.mp4', headers);
      const second = await upload.part(2, SMALL);
      const first = await upload.part(1, BIG);
      expect(first.ETag).toBe(`"${md5(BIG).toString('hex')}"`);
      expect((await scene.cloud.objects(scene.bucket)).size).toBe(0);
      await upload.complete([first, second]);
      const head = await scene.s3.send(new HeadObjectCommand({ Bucket: scene.bucket, Key: 'dir/ü +.mp4' }));
      expect(head).toMatchObject({ ...headers, ETag: tagOf(BIG, SMALL), ContentLength: 5 * MIB + 7 });
      const [stored] = (await scene.cloud.objects(scene.bucket)).values();
      expect(stored!.body.equals(Buffer.concat([BIG, SMALL]))).toBe(true);
    },
  },
  {
    name: 'completing answers the ETag',
    except: { ceph: 'the ETag of the answer is empty' },
    async run(scene) {
      const upload = await Upload.begin(scene);
      expect(await upload.complete([await upload.part(1, SMALL)])).toMatchObject({ ETag: tagOf(SMALL) });
    },
  },
  {
    name: 'an upload is open until it is completed or aborted',
    async run(scene) {
      const { cloud, bucket: Bucket, s3 } = scene;
      const [one, two] = [await Upload.begin(scene, 'one'), await Upload.begin(scene, 'two +ü')];
      expect((await cloud.openUploads(Bucket)).sort()).toEqual(['one', 'two +ü']);
      const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: 'two' }));
      expect(Uploads).toMatchObject([{ Key: 'two +ü', UploadId: two.at.UploadId }]);
      await one.complete([await one.part(1, SMALL)]);
      await two.part(1, SMALL);
      expect(await cloud.openUploads(Bucket)).toEqual(['two +ü']);
      expect(await outcome(two.abort())).toBe('204');
      expect(await cloud.openUploads(Bucket)).toEqual([]);
      expect([...(await cloud.objects(Bucket)).keys()]).toEqual(['one']);
    },
  },
  {
    name: 'parts are listed, and a part sent twice counts as sent last',
    async run(scene) {
      const upload = await Upload.begin(scene);
      await upload.part(3, BIG);
      const part = await upload.part(3, SMALL);
      const { Parts } = await scene.s3.send(new ListPartsCommand(upload.at));
      expect(Parts).toMatchObject([{ PartNumber: 3, Size: 7, ETag: part.ETag }]);
      await upload.complete([part]);
      expect((await scene.cloud.objects(scene.bucket)).get('a')!.body).toHaveLength(7);
    },
  },
  {
    name: 'only the last part may be small',
    async run(scene) {
      const upload = await Upload.begin(scene);
      const parts = [await upload.part(1, SMALL), await upload.part(2, SMALL)];
      expect(await outcome(upload.complete(parts))).toBe('400 EntityTooSmall');
    },
  },
  {
    name: 'a part that was never sent, or another than was sent, is InvalidPart',
    async run(scene) {
      const upload = await Upload.begin(scene);
      const part = await upload.part(1, SMALL);
      const other = `"${md5(BIG).toString('hex')}"`;
      expect(await outcome(upload.complete([{ ...part, ETag: other }]))).toBe('400 InvalidPart');
      expect(await outcome(upload.complete([{ ...part, PartNumber: 2 }]))).toBe('400 InvalidPart');
    },
  },
  {
    name: 'parts out of order are InvalidPartOrder',
    except: { ceph: 'puts them in order' },
    async run(scene) {
      const upload = await Upload.begin(scene);
      const parts = [await upload.part(1, BIG), await upload.part(2, BIG)];
      expect(await outcome(upload.complete(parts.toReversed()))).toBe('400 InvalidPartOrder');
    },
  },
  {
    name: 'an upload that is over, or never was, is NoSuchUpload',
    async run(scene) {
      const upload = await Upload.begin(scene);
      await upload.abort();
      expect(await outcome(upload.sendPart(1, SMALL))).toBe('404 NoSuchUpload');
      expect(await outcome(upload.abort())).toBe('404 NoSuchUpload');
      expect(await outcome(scene.s3.send(new ListPartsCommand(upload.at)))).toMatch(/^404 NoSuch/);
    },
  },
  {
    name: 'an upload that was aborted cannot be completed any more',
    except: { ceph: 'answers 500 InternalError' },
    async run(scene) {
      const upload = await Upload.begin(scene);
      const part = await upload.part(1, SMALL);
      await upload.abort();
      expect(await outcome(upload.complete([part]))).toBe('404 NoSuchUpload');
    },
  },
  {
    name: 'a part whose Content-MD5 is wrong is not kept',
    async run(scene) {
      const upload = await Upload.begin(scene);
      const wrong = upload.sendPart(1, SMALL, { ContentMD5: md5(BIG).toString('base64') });
      expect(await outcome(wrong)).toBe('400 BadDigest');
      const { Parts = [] } = await scene.s3.send(new ListPartsCommand(upload.at));
      expect(Parts).toEqual([]);
    },
  },
  {
    name: 'a part with a checksum is refused when the upload was begun without one',
    except: { ceph: 'x-amz-checksum-* is not looked at' },
    async run(scene) {
      const upload = await Upload.begin(scene, 'a', { ChecksumAlgorithm: undefined });
      expect(await outcome(upload.sendPart(1, SMALL))).toBe('400 InvalidRequest');
    },
  },
  {
    name: 'completing names the checksum of every part when the upload was begun with one',
    except: { ceph: 'x-amz-checksum-* is not looked at' },
    async run(scene) {
      const upload = await Upload.begin(scene);
      const { PartNumber, ETag } = await upload.part(1, SMALL);
      expect(await outcome(upload.complete([{ PartNumber, ETag }]))).toBe('400 InvalidRequest');
    },
  },
  {
    name: 'a part whose SHA-256 is wrong is not kept, and the whole has a checksum of those of its parts',
    except: { ceph: 'x-amz-checksum-* is not looked at' },
    async run(scene) {
      const upload = await Upload.begin(scene, 'a', { ChecksumAlgorithm: 'SHA256' });
      const right = sha256(SMALL).toString('base64');
      const wrong = upload.sendPart(1, SMALL, { ChecksumSHA256: sha256(BIG).toString('base64') });
      expect(await outcome(wrong)).toBe('400 BadDigest');
      const { ETag = '' } = await upload.sendPart(1, SMALL, { ChecksumSHA256: right });
      const parts = [{ PartNumber: 1, ETag, ChecksumSHA256: right }];
      const other = [{ PartNumber: 1, ETag, ChecksumSHA256: sha256(BIG).toString('base64') }];
      expect(await outcome(upload.complete(other))).toBe('400 InvalidPart');
      const whole = sha256(sha256(SMALL)).toString('base64');
      expect(await upload.complete(parts)).toMatchObject({ ChecksumSHA256: `${whole}-1`, ChecksumType: 'COMPOSITE' });
    },
  },
  {
    name: 'part numbers end at 10000',
    except: { ceph: 'takes any number' },
    async run(scene) {
      const upload = await Upload.begin(scene);
      expect(await outcome(upload.sendPart(10_001, SMALL))).toMatch(/^400/);
    },
  },
  {
    name: 'If-None-Match: * refuses to complete over an object',
    except: { ceph: 'conditions of CompleteMultipartUpload are ignored' },
    async run(scene) {
      const upload = await Upload.begin(scene);
      const part = await upload.part(1, SMALL);
      await scene.cloud.putObject(scene.bucket, 'a', 'mine');
      expect(await outcome(upload.complete([part], { IfNoneMatch: '*' }))).toBe('412 PreconditionFailed');
      expect((await scene.cloud.objects(scene.bucket)).get('a')!.body.toString()).toBe('mine');
    },
  },
];
