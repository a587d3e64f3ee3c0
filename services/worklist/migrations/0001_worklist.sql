comment on schema worklist is 'who must act, by when, and who may say yes';
