import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect } from '@jest/globals';
import { allow, type Case, keysOf, outcome, type Scene } from './scene.ts';

const put = (scene: Scene, s3 = scene.s3) =>
  outcome(s3.send(new PutObjectCommand({ Bucket: scene.bucket, Key: 'a', Body: 'x' })));

const CODES = 'AccessDenied is its one code for credentials that are not right';

/** Keys and signatures that are not right. */
export const authenticationCases: Case[] = [
  {
    name: 'a wrong secret and an unknown key are refused with 403',
    async run(scene) {
      const keys = await scene.userKeys(allow('s3:*', '*'));
      expect(await put(scene, scene.as(keys))).toBe('200');
      expect(await put(scene, scene.as({ ...keys, secretAccessKey: `${keys.secretAccessKey}x` }))).toMatch(/^403/);
      expect(await put(scene, scene.as({ ...keys, accessKeyId: 'AKIAUNKNOWN000000000' }))).toMatch(/^403/);
    },
  },
  {
    name: 'a wrong secret is SignatureDoesNotMatch, an unknown key InvalidAccessKeyId',
    except: { ceph: CODES },
    async run(scene) {
      const keys = await scene.userKeys(allow('s3:*', '*'));
      const wrong = scene.as({ ...keys, secretAccessKey: `${keys.secretAccessKey}x` });
      expect(await put(scene, wrong)).toBe('403 SignatureDoesNotMatch');
      const unknown = scene.as({ ...keys, accessKeyId: 'AKIAUNKNOWN000000000' });
      expect(await put(scene, unknown)).toBe('403 InvalidAccessKeyId');
    },
  },
  {
    name: 'a clock that is an hour off is RequestTimeTooSkewed',
    async run(scene) {
      const keys = await scene.userKeys(allow('s3:*', '*'));
      const late = scene.as(keys, { systemClockOffset: -3_600_000 });
      expect(await put(scene, late)).toBe('403 RequestTimeTooSkewed');
    },
  },
  {
    name: 'the keys of a session are nothing without its token, or with another one',
    async run(scene) {
      const role = await scene.role([allow('s3:*', '*')]);
      const [one, two] = [await scene.assume(role), await scene.assume(role)].map((made) => keysOf(made.Credentials));
      expect(await put(scene, scene.as(one!))).toBe('200');
      const { accessKeyId, secretAccessKey, sessionToken } = one!;
      const refused = [
        { accessKeyId, secretAccessKey },
        { accessKeyId, secretAccessKey, sessionToken: two!.sessionToken },
        { accessKeyId, secretAccessKey, sessionToken: `${sessionToken.slice(0, -8)}AAAAAAAA` },
        { accessKeyId, secretAccessKey: two!.secretAccessKey, sessionToken },
      ];
      for (const keys of refused) expect(await put(scene, scene.as(keys))).toMatch(/^40[03]/);
    },
  },
  {
    name: 'a stranger may read nothing and write nothing',
    except: { ceph: 'names the tenant in the path of an unsigned request' },
    async run(scene) {
      await scene.cloud.putObject(scene.bucket, 'a', 'x');
      const url = `${scene.cloud.s3Endpoint}/${scene.bucket}/a`;
      const statuses = [await fetch(url), await fetch(url, { method: 'PUT', body: 'y' })].map(({ status }) => status);
      expect(statuses).toEqual([403, 403]);
      expect((await scene.cloud.objects(scene.bucket)).get('a')!.body.toString()).toBe('x');
    },
  },
  {
    name: 'a body is stored as it came from whoever signed it',
    async run(scene) {
      const s3 = await scene.session(await scene.role([allow('s3:*', [scene.arn(), scene.arn('*')])]));
      expect(await put(scene, s3)).toBe('200');
      const got = await scene.s3.send(new GetObjectCommand({ Bucket: scene.bucket, Key: 'a' }));
      expect(await got.Body!.transformToString()).toBe('x');
    },
  },
];
