// RFC 6455 as a table: bytes in, and what must come back, direct and through nginx and HAProxy.
import { Random } from '../../support/random.js';
import { runRows } from './conversation.js';
import { runHandshakes } from './handshaking.js';
import { brokenRows } from './websocket-broken-fragments.js';
import { closingRows } from './websocket-closing.js';
import { runConnectionRows } from './websocket-connections.js';
import { controlRows } from './websocket-control.js';
import { dataRows } from './websocket-data.js';
import { fragmentRows } from './websocket-fragments.js';
import { framingRows } from './websocket-framing.js';
import { handshakeRows } from './websocket-handshake.js';
import { maskingRows } from './websocket-masking.js';
import { offerRows } from './websocket-offers.js';
import { requestRows } from './websocket-request.js';
import { utf8Rows } from './websocket-utf8.js';

const random = new Random(Number(process.env.TEST_SEED ?? 1));
runHandshakes([...handshakeRows(random), ...requestRows, ...offerRows]);
runRows([
	...maskingRows(random),
	...framingRows,
	...fragmentRows,
	...brokenRows,
	...controlRows(random),
	...closingRows,
	...dataRows,
	...utf8Rows,
]);
runConnectionRows();
