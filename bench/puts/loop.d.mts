export function makeBuffers(bytes: number): () => Buffer;
export function measurePuts(number: number, put: (keys: Iterable<string>) => Promise<unknown>): Promise<void>;
