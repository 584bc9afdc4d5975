/** One request that the cloud has seen, S3's and STS's alike. */
export interface LoggedRequest {
  /** As the SDK names it; `Unknown` for what this cloud does not play. */
  operation: string;
  bucket: string | undefined;
  key: string | undefined;
  /** Of STS the form. */
  query: Record<string, string>;
  /** Zero when there was no answer. */
  status: number;
  /** The code of the error it was answered with. */
  code: string | undefined;
  /** ARN of the sender, `anonymous`, or undefined when the signature did not stand. */
  principal: string | undefined;
  /** Lower-case names. */
  headers: Record<string, string>;
  /** The kind of the fault that hit it. */
  fault: string | undefined;
}

/** A request as it comes, before anything is known of it but its headers. */
export function newRequest(headers: Record<string, string>): LoggedRequest {
  const nothing = { bucket: undefined, key: undefined, code: undefined, principal: undefined, fault: undefined };
  return { operation: 'Unknown', query: {}, status: 0, headers, ...nothing };
}
