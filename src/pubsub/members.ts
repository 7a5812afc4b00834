// Who is subscribed to a channel: a list that runs through the subscribers themselves.

/**
 * A subscriber, as its channel knows it. The links are the list's: two references for each subscriber, where a set would
 * cost every channel, most of which have few, some hundreds of bytes.
 */
export type Member = {
	/** Sends it away with a code and a reason (RFC 6455, section 7.4). It has left its channel when this returns. */
	end(code: number, reason: string): void;
	previousMember?: Member | undefined;
	nextMember?: Member | undefined;
};

/** The members, from the newest to the oldest. */
export type Members = { newest: Member | undefined };

export function addMember(members: Members, member: Member): void {
	const { newest } = members;
	member.previousMember = undefined;
	member.nextMember = newest;
	if (newest !== undefined) newest.previousMember = member;
	members.newest = member;
}

export function removeMember(members: Members, member: Member): void {
	const { previousMember, nextMember } = member;
	if (nextMember !== undefined) nextMember.previousMember = previousMember;
	if (previousMember !== undefined) previousMember.nextMember = nextMember;
	else members.newest = nextMember;
	member.previousMember = undefined;
	member.nextMember = undefined;
}
