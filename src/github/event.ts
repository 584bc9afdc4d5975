/** Whether the job runs for a pull request from a fork. `@actions/github` is loaded only for those who ask. */
export async function isForkPullRequest(): Promise<boolean> {
  const { context } = await import('@actions/github');
  return context.payload.pull_request?.head?.repo?.fork === true;
}
