// Who did something, as the log writes it: `user:ada`, `user:ada token:01a2...`, `system`.
export const actorName = (actor: string) => /^user:(\S+)/.exec(actor)?.[1] ?? actor;
