import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';

/** What goes wrong. `applied` tells whether the operation was carried out all the same; by default it was not. */
export type FaultAnswer =
  /** An error with its code; `message` as S3 has it unless given, or made of the request's headers and body. */
  | {
      kind: 'error';
      status: number;
      code: string;
      message?: string | ((heard: string) => string);
      headers?: Record<string, string>;
      applied?: boolean;
    }
  /** The connection is reset: before the body is read, in its middle, or (carried out) in the middle of the answer. */
  | { kind: 'reset'; at: 'request' | 'body' | 'response' }
  /** Never answers, and keeps the connection open. `onReached` is called once the request is read, and carried out if it is. */
  | { kind: 'silence'; applied?: boolean; onReached?: () => void }
  /** Waits for something, then does what was asked. `onReached` is called before the wait. */
  | { kind: 'wait'; until: Promise<unknown>; onReached?: () => void }
  /** Waits, then does what was asked. */
  | { kind: 'delay'; ms: number }
  /** Carried out; the answer arrives in pieces of `bytes` every `ms`. */
  | { kind: 'trickle'; bytes: number; ms: number }
  /** A proxy's error page, with 200 unless told otherwise. */
  | { kind: 'html'; status?: number; applied?: boolean }
  /** Carried out; the document in the answer ends in its middle, and the lengths agree. */
  | { kind: 'truncate' }
  /** 200 without a body, an ETag or anything else. */
  | { kind: 'empty'; applied?: boolean }
  /** Carried out; the ETag of the answer is another. */
  | { kind: 'etag'; value?: string }
  /** Carried out; the checksum of the answer is another. */
  | { kind: 'checksum' };

export interface Fault {
  /** `PutObject`, `AssumeRoleWithWebIdentity`, …; any unless given. */
  operation?: string;
  bucket?: string;
  key?: string | RegExp;
  /** How often; once unless given, `Infinity` for always. */
  times?: number;
  /** How many matching requests pass unharmed first. */
  after?: number;
  /** Once it has hit, it hits whatever else the same sender asks, and nobody else: a runner that stands still. */
  staysWithSender?: boolean;
  /** The share of the matching requests that are hit, 0 to 1; the same ones in every run. */
  rate?: number;
  answer: FaultAnswer;
}

/** Many faults at once, by chance: the same requests are hit in every run with the same seed, in whatever order they come. */
export interface FaultMix {
  seed: number;
  /** The share of the requests that are hit, 0 to 1. */
  rate: number;
  bucket?: string;
  /** What hits, and how often beside the others. */
  answers: readonly (readonly [weight: number, answer: FaultAnswer])[];
}

/** What a fault is counted as. */
function kindOf(answer: FaultAnswer): string {
  if (answer.kind === 'error') return answer.code === 'RequestTimeTooSkewed' ? 'skew' : String(answer.status);
  return answer.kind === 'reset' ? `reset-${answer.at}` : answer.kind;
}

/** From 0 to 1, by the text: what is hit must not depend on which of two requests under way comes first. */
function chance(text: string): number {
  return createHash('md5').update(text).digest().readUInt32LE() / 4_294_967_296;
}

/** mulberry32: a test that fails by chance must fail by the same chance again. */
function* random(seed: number): Generator<number, never> {
  for (let a = seed; ; ) {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    yield ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }
}

/** The faults that wait for their request. The first that fits is taken. */
export class Faults {
  /** How many faults have hit so far, by kind: `503`, `skew`, `reset-body`, `html` … */
  readonly injected: Record<string, number> = {};
  #waiting: { fault: Fault; left: number; skip: number; sender?: string | undefined }[] = [];
  #random = random(1);
  #mixes: { mix: FaultMix; seen: Map<string, number> }[] = [];

  add(fault: Fault): void {
    this.#waiting.push({ fault, left: fault.times ?? 1, skip: fault.after ?? 0 });
  }

  /** Lets faults hit by chance from here on, where none that was added fits; each mix has a bucket of its own. */
  addMix(mix: FaultMix): void {
    this.#mixes.push({ mix, seen: new Map() });
  }

  /** Ends the mix of a bucket. */
  removeMix(bucket: string | undefined): void {
    this.#mixes = this.#mixes.filter(({ mix }) => mix.bucket !== bucket);
  }

  /** Forgets what has not hit yet, and starts the chances afresh. */
  clear(): void {
    this.#waiting = [];
    this.#mixes = [];
    this.#random = random(1);
  }

  /** Adds what has hit to the file that FAULTS_FILE names, if there is one: so a run of all tests can be summed up. */
  tell(): void {
    const { FAULTS_FILE: file } = process.env;
    if (file === undefined) return;
    for (const [kind, times] of Object.entries(this.injected)) appendFileSync(file, `${kind} ${times}\n`);
  }

  /** The fault for a request, if there is one; it is then used up. `sender` is the access key that it is signed with. */
  take(operation: string, bucket?: string, key?: string, sender?: string): FaultAnswer | undefined {
    for (const entry of this.#waiting) {
      const { fault } = entry;
      if (entry.sender !== undefined) {
        if (entry.sender === sender) return this.#count(fault.answer);
        continue;
      }
      if (fault.operation !== undefined && fault.operation !== operation) continue;
      if (fault.bucket !== undefined && fault.bucket !== bucket) continue;
      if (typeof fault.key === 'string' ? fault.key !== key : fault.key && !fault.key.test(key ?? '')) continue;
      if (entry.skip > 0) {
        entry.skip--;
        continue;
      }
      if (fault.rate !== undefined && this.#random.next().value >= fault.rate) continue;
      if (fault.staysWithSender) {
        entry.sender = sender ?? '';
        return this.#count(fault.answer);
      }
      entry.left--;
      if (entry.left <= 0) this.#waiting = this.#waiting.filter((other) => other !== entry);
      return this.#count(fault.answer);
    }
    return this.#byChance(operation, bucket, key);
  }

  #byChance(operation: string, bucket?: string, key?: string): FaultAnswer | undefined {
    const entry = this.#mixes.find(({ mix }) => mix.bucket === undefined || mix.bucket === bucket);
    if (entry === undefined) return undefined;
    const { seed, rate, answers } = entry.mix;
    // A probe's key is another one in every run.
    const name = `${operation} ${key?.replace(/[0-9a-f-]{36}/, '')}`;
    const nth = (entry.seen.get(name) ?? 0) + 1;
    entry.seen.set(name, nth);
    if (chance(`${seed} ${name} ${nth}`) >= rate) return undefined;
    const whole = answers.reduce((sum, [weight]) => sum + weight, 0);
    let at = chance(`${seed} ${name} ${nth} which`) * whole;
    for (const [weight, answer] of answers) {
      at -= weight;
      if (at < 0) return this.#count(answer);
    }
    return undefined;
  }

  #count(answer: FaultAnswer): FaultAnswer {
    const kind = kindOf(answer);
    this.injected[kind] = (this.injected[kind] ?? 0) + 1;
    return answer;
  }
}
