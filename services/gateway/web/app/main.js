// Everything here is a comfort: each page works as plain links and forms.

import { start as startDrop } from './drop.js';
import { start as startEvidence } from './evidence.js';
import { start as startFocus } from './focus.js';
import { start as startKeys } from './keys.js';
import { start as startLive } from './live.js';
import { start as startManual } from './manual.js';
import { start as startTicks } from './ticks.js';

startKeys();
startManual();
startTicks();
startFocus();
startDrop();
startEvidence();
startLive();
