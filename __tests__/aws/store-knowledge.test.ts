import { expect, test } from '@jest/globals';
import { StoreKnowledge } from '../../src/aws/store-knowledge.ts';
import { profileOf } from '../../src/core/capabilities.ts';

function know(endpoint: string | undefined) {
  const said: string[] = [];
  return { knowledge: new StoreKnowledge(profileOf(endpoint), (line) => said.push(line)), said };
}

test('what a store lacks is said when it matters, and once', () => {
  const { knowledge, said } = know('https://storage.googleapis.com');
  expect(said).toEqual([]);
  expect([knowledge.lacks('batchDelete'), knowledge.lacks('batchDelete')]).toEqual([true, true]);
  expect(said).toEqual(['This store has no batch delete: objects are deleted one by one.']);
});

test('what nobody knows is not lacking, until it is learned', () => {
  const { knowledge, said } = know('https://s3.example.org');
  expect(knowledge.lacks('multipart')).toBe(false);
  knowledge.learn({ multipart: false });
  expect(knowledge.lacks('multipart')).toBe(true);
  expect(said).toHaveLength(1);
});

test('nothing is said of AWS', () => {
  const { knowledge, said } = know(undefined);
  for (const one of ['multipart', 'conditionalWrites', 'batchDelete'] as const)
    expect(knowledge.lacks(one)).toBe(false);
  expect(said).toEqual([]);
});
