comment on schema disputes is 'query, dispute and complaint cases';
