comment on schema dunning is 'who is chased, how, and why not';
