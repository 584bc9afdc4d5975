import { expect, test } from '@jest/globals';
import { parseCommandFile } from '../support/runner/command-files.ts';

test('reads both forms, and the last value of a name wins', () => {
  const text = 'a=1\n\nb<<end\none\ntwo=x\n\nend\nc=x<<y\na=2=3\nempty<<e\ne\n';
  expect(parseCommandFile(text)).toEqual({ a: '2=3', b: 'one\ntwo=x\n', c: 'x<<y', empty: '' });
});

test('a carriage return belongs to the value', () => {
  expect(parseCommandFile('a=1\r\nb<<e\nx\r\ne')).toEqual({ a: '1\r', b: 'x\r' });
});

test('refuses what the runner refuses', () => {
  expect(() => parseCommandFile('just a line')).toThrow("Invalid format 'just a line'");
  expect(() => parseCommandFile('a<<end\nb\n')).toThrow('delimiter not found');
  expect(() => parseCommandFile('<<end\nend')).toThrow('must not be empty');
});
